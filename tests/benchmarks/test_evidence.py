import numpy as np
import pytest
from evidence import BEGIN, END, bootstrap, write_page

from egmt_jax.errors import UserError


def test_the_interval_holds_the_mean_and_narrows_with_more_images():
    few, many = np.random.default_rng(0).normal(3.0, 1.0, 10), np.tile([2.0, 4.0], 500)
    low, high = bootstrap(few)
    assert low < few.mean() < high
    assert np.subtract(*bootstrap(many)[::-1]) == pytest.approx(2 * 1.96 / 1000**0.5, rel=0.1)


def test_what_is_written_by_hand_on_a_page_stays(tmp_path):
    page = tmp_path / "page.md"
    write_page(page, f"first\n{BEGIN}\n{END}\nend\n")
    page.write_text(page.read_text().replace(f"{BEGIN}\n", f"{BEGIN}\nMy reading.\n"))
    write_page(page, f"second\n{BEGIN}\n{END}\nend\n")
    assert page.read_text() == f"second\n{BEGIN}\nMy reading.\n{END}\nend\n"


def test_a_page_without_the_marks_is_not_overwritten(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("all by hand")
    with pytest.raises(UserError, match="lacks the line"):
        write_page(page, f"{BEGIN}\n{END}\n")
    assert page.read_text() == "all by hand"
