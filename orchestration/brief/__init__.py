"""The daily brief: one HTML file in which every sentence and every chart carries its query.

    sections/    what is told, a file per section: sentences, charts, tables, each with its SQL
    parts        what a section is made of
    charts       Vega-Lite specifications
    numbers      numbers as readers write them
    snapshot     asks published/marts.duckdb
    javascript   Vega as one script
    page         asks, renders, writes

It reads the published snapshot only, never the warehouse, and loads nothing from anywhere.
"""
