"""What the benchmarks make of their samples, and the input they make for themselves."""

import orjson
import pytest

from benchmarks.pages import LARGE, SMALL, make_page
from benchmarks.report import Table
from benchmarks.stats import Ratio, growth_exponent, quantile, ratio_by_round, ratio_of_medians, shown, summarize


class TestStats:
    def test_quantile(self) -> None:
        """A quantile lies between the samples around it, and its ends are the least and the greatest."""
        assert [quantile([40.0, 10.0, 30.0, 20.0], share) for share in (0.0, 0.5, 0.9, 1.0)] == [10.0, 25.0, 37.0, 40.0]

    def test_single_sample(self) -> None:
        """One sample is its own summary."""
        summary = summarize([7.0])
        assert (summary.count, summary.least, summary.median, summary.p90, summary.greatest) == (1, 7.0, 7.0, 7.0, 7.0)

    def test_ratio_by_round(self) -> None:
        """A machine that slows down for all does not change a ratio taken round by round."""
        assert ratio_by_round([100.0, 50.0, 10.0], [50.0, 25.0, 5.0]) == Ratio(middle=2.0, low=2.0, high=2.0)

    def test_ratio_of_medians(self) -> None:
        """The interval holds the ratio, and the same samples give the same one."""
        ratio = ratio_of_medians([9.0, 10.0, 11.0], [4.0, 5.0, 6.0])
        assert ratio == ratio_of_medians([9.0, 10.0, 11.0], [4.0, 5.0, 6.0])
        assert ratio.low <= ratio.middle == 2.0 <= ratio.high

    @pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
    def test_growth(self, exponent: float) -> None:
        """The exponent of a power law is found."""
        sizes = [10.0, 100.0, 1_000.0]
        assert growth_exponent(sizes, [3.0 * size**exponent for size in sizes]) == pytest.approx(exponent)

    def test_shown(self) -> None:
        """A number is shown with three digits."""
        assert [shown(value) for value in (0, 0.01234, 1.5, 123.4, 12_345.0, 1_999_999)] == [
            "0",
            "0.0123",
            "1.5",
            "123",
            "12,300",
            "2,000,000",
        ]


class TestTable:
    def test_markdown(self) -> None:
        """Numbers stand on the right, and what could not be measured is a dash."""
        table = Table(columns=("index", "requests/s"), rows=(("a", 12.345), ("b", None)))
        assert table.markdown() == "| index | requests/s |\n| --- | ---: |\n| a | 12.3 |\n| b | – |"

    def test_plain(self) -> None:
        """The columns of a table for the terminal are aligned."""
        table = Table(columns=("index", "KB"), rows=(("long", 1_234.0), ("b", None)))
        assert table.plain() == "index     KB\nlong   1,230\nb          –"


class TestPages:
    def test_same_everywhere(self) -> None:
        """A project's page is the same every time it is made."""
        assert make_page(*SMALL) == make_page(*SMALL)

    @pytest.mark.parametrize(("name", "files"), [SMALL, LARGE])
    def test_whole(self, name: str, files: int) -> None:
        """Both forms name every file, once."""
        page = make_page(name, files)
        names = tuple(file["filename"] for file in orjson.loads(page.json)["files"])
        assert names == page.filenames
        assert len(set(names)) == files
        assert page.html.count(b"<a href=") == files
