"""Looking at labels, words and cases: arrays and tables in, arrays, tables and images out."""
