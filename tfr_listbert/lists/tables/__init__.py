"""Files of rows, however written: read by DuckDB, checked against rules, and what cannot be used set apart."""
