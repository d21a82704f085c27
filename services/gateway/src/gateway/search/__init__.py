"""Finding datasets: words, formulas, elements, filters, misspellings."""
