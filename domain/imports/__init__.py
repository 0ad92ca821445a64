"""CSV files that people import: suppression lists, customers and known portal accounts.

``table.py`` turns bytes into rows, ``columns.py`` matches headers to fields, ``rows.py`` turns a row into what is stored.
"""
