"""Human labels and labelled tweets in files: imported, exported, drawn for a spreadsheet, reported. No Prefect in here."""
