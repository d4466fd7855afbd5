"""Where the numbers come from."""


def numbers(count):
    return list(range(1, count + 1))
