"""`itrp explain`: a tweet, what models and people say of it, and where it comes from. No Prefect in here."""

from flows.jobs.explain.tweet import explain_tweet
from flows.jobs.explain.words import describe_tweet

__all__ = ["describe_tweet", "explain_tweet"]
