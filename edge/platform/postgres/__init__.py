"""The city's store in PostgreSQL: any number of writers, any number of readers (the extra `city`).

No other package imports psycopg. The tables are made by the numbered files in `migrations`.
"""
