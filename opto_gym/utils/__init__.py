"""Helpers that know nothing of OPTO.

Arguments: `checks`, `arguments`, `suggestions`. Loading: `loading` (``module:Name``), `extras` (optional packages),
`moved` (old names). Files: `tables` (TOML), `text`, `journal` (JSON lines), `cache` (the folder for downloads).
"""
