"""Draw the table of house prices that the example of a regression ships.

    python tools/house_prices.py kc_house_data.csv > house_prices.csv

The argument is the table "House Sales in King County, USA" as published at
https://www.kaggle.com/datasets/harlfoxem/housesalesprediction under CC0 1.0 (2,515,206 bytes). The same input gives the
same bytes.
"""

import csv
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

DIGEST = "d0875baa0251b21d4bdc9d2ae940a4fe0bb6009824f23dd0e2a5b2bf04557b7e"
"""SHA-256 of the published table."""
DRAWN = "14cee41c4c35e7ed82cb1d9339c127e5abb3368ba6805ee6052dda3260bb1af7"
"""SHA-256 of what is drawn from it."""
ROWS = 4_000
COLUMNS = {
    "bedrooms": "bedrooms",
    "bathrooms": "bathrooms",
    "living_area": "sqft_living",
    "lot_area": "sqft_lot",
    "floors": "floors",
    "waterfront": "waterfront",
    "view": "view",
    "condition": "condition",
    "grade": "grade",
    "year_built": "yr_built",
    "latitude": "lat",
    "longitude": "long",
    "neighbours_area": "sqft_living15",
    "price": "price",
}
"""The columns that are kept, with their names in the published table."""
WORDS = {"waterfront": ("no", "yes"), "condition": ("", "poor", "fair", "average", "good", "very good")}
"""What the codes of the county's assessor mean."""
MOST_BEDROOMS = 15
"""One house of 150 square metres is said to have 33 bedrooms."""


def sample(sales: Iterable[Mapping[str, str]], rows: int = ROWS) -> Iterator[list[str]]:
    """Yield the header and the sampled sales, one of each house, in an order that tells nothing.

    A house that was sold twice counts by its later sale. Left out are houses without a bedroom or a bathroom. Of the
    others those are taken whose parcel number has the smallest SHA-256: a choice that has nothing to do with the house,
    and that anybody can repeat.
    """
    latest = {sale["id"]: sale for sale in sorted(sales, key=lambda sale: sale["date"])}
    homes = [sale for sale in latest.values() if is_plausible(sale)]
    yield list(COLUMNS)
    for sale in sorted(homes, key=lambda sale: hashlib.sha256(sale["id"].encode()).hexdigest())[:rows]:
        yield [cell(name, sale[published]) for name, published in COLUMNS.items()]


def is_plausible(sale: Mapping[str, str]) -> bool:
    """Tell whether a sale is that of a home, as far as the number of its rooms says."""
    return 0 < float(sale["bedrooms"]) <= MOST_BEDROOMS and float(sale["bathrooms"]) > 0


def cell(name: str, published: str) -> str:
    """Write a value: a word for a code, and a place to 0.01 degree, which is no address (1.1 km by 0.75 km)."""
    value = float(published)
    if name in WORDS:
        return WORDS[name][int(value)]
    return f"{value:.2f}" if name in {"latitude", "longitude"} else f"{value:.12g}"


def main() -> int:
    """Write the sample; return 1 when the input is another table, 2 when none is named."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its argument
        print(__doc__, file=sys.stderr)
        return 2
    content = Path(sys.argv[1]).read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != DIGEST:
        print(f"{sys.argv[1]} is not the published table: its SHA-256 is {digest}, not {DIGEST}", file=sys.stderr)
        return 1
    sales = csv.DictReader(content.decode("ascii").splitlines())
    csv.writer(sys.stdout, lineterminator="\n").writerows(sample(sales))
    return 0


if __name__ == "__main__":
    sys.exit(main())
