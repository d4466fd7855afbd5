"""The source of the numbers."""


def numbers(count):
    return list(range(1, count + 1))
