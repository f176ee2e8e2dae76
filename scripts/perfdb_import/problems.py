"""The one exception this package raises for conditions its user can mend."""


class ImportProblem(Exception):
    """Bad usage or bad input: ``exit_code`` 2; a file or network that failed: 3."""

    def __init__(self, message: str, exit_code: int = 2):
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self):  # crosses a process boundary whole
        return type(self), (str(self), self.exit_code)
