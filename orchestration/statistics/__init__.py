"""Statistics that SQL should not do: numpy in, arrow out, one file per topic.

The Python models of dbt call them. Pure functions: no database, no environment, a fixed seed where they draw.
"""
