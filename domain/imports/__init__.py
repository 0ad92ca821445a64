"""Import CSV files: suppression lists, customers and known portal accounts.

``table.py`` parses bytes into rows, ``columns.py`` matches headers to fields, ``rows.py`` converts rows to models.
"""
