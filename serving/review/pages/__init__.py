"""What each address of the review page shows: one module a page."""

from serving.review.pages import agree, browse, guidelines, home, how_good, label, login, pictures, tweet

PAGE_ROUTERS = tuple(page.router for page in (home, browse, tweet, label, agree, how_good, guidelines, pictures, login))
"""Every page's routes."""
