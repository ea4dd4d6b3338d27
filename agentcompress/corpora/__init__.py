"""Texts that are at hand everywhere: source files of the installed packages, and passages made of them."""
