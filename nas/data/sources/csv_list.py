"""A user's own images as a CSV file lists them, decoded once with Pillow."""

from __future__ import annotations

from nas.data.csv_list import CsvList
from nas.data.sources.imagefolder import ImageFolder


class ImageList(ImageFolder):
    """`ImageFolder`, of the images of a list."""

    kind, listing = "csv", CsvList
