"""Files that people bring along (lists of customers, do-not-contact lists, known accounts), read without trust.

``table.py`` turns bytes into rows by named columns and finds what is wrong with the file; ``columns.py`` knows the columns of each
kind of file; ``rows.py`` turns a row into what is stored. Pure: the file is opened, and the rows are stored, elsewhere.
"""
