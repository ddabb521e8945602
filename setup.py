"""The version has one home, metadata.txt, which QGIS reads too."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

metadata = ConfigParser(interpolation=None)
metadata.read_string((Path(__file__).parent / "metadata.txt").read_text("utf-8"))
setup(version=metadata["general"]["version"])
