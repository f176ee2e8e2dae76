"""Turns a published release of measured tables into perfdb files (docs/formats/perfdb.md)."""
