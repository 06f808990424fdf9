"""Preset folders: stored, downloaded, published and released."""
