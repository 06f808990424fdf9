"""Preset folders: storage, download, publication and release."""
