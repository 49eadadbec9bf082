"""Human labels in files: tables, JSON Lines and Label Studio's export, row by row, each bad row by itself."""

from itrp.datasets.label_files.reading import LabelFileReader
from itrp.datasets.label_files.rows import BadRow, HumanLabel, LabelRow

__all__ = ["BadRow", "HumanLabel", "LabelFileReader", "LabelRow"]
