def pytest_terminal_summary(terminalreporter):
    """What NVRTC said of the kernels, if it was asked."""
    try:
        from kernels import nvrtc
    except ImportError:                          # no CuPy, so nobody was asked
        return
    nvrtc.summarize(terminalreporter)
