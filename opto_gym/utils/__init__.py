"""Helpers without knowledge of OPTO: optional packages, checks of arguments, the cache folder, files of JSON lines."""
