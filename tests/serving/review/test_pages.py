"""Every page over a real catalog: what it shows, and that it is whole."""

import pytest

from tests.serving.review.conftest import Reader

PAGES = ("/", "/browse", "/label", "/label?queue=random", "/agree", "/how-good", "/guidelines")


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_there_before_anybody_has_labelled(ana: Reader, address: str) -> None:
    html = ana.get(address)
    assert "<h1>" in html
    assert html.count('<main id="main"') == 1
    assert 'class="skip" href="#main"' in html
