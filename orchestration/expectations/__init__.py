"""What must hold of the data before it is committed and before it is published.

`suite` what a suite is; `raw_*`, `marts_*`, `quality_*` one checked table each; `registry` all of them by name;
`columns` exact comparisons in Arrow; `report` what a check found; `validate` runs a suite with Great Expectations;
`worker` and `validator` do that in a warm child process; `golden` computes the headline a second time.
"""
