"""Reading CSV files of any program: their records, and the columns of suppression files."""
