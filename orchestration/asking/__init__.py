"""The threads that ask upstreams, each within its host's budget, all at the same time.

    context.py        what they share: the run's window, what the warehouse knew before it was asked, where answers go
    bars.py           exchanges that sum takers' purchases themselves
    second_source.py  what came from bars.py, read again from an archive to be compared
    files.py          archives of trade files: download, reduce, say what is absent
    estimates.py      what exchanges say of days whose files are not there yet
    pages.py          APIs that reach a little way back
    services.py       data services that answer with their whole history

They touch neither the warehouse nor the archive: one loader does.
"""
