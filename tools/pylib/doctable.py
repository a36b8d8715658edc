"""Tables of a document that a command makes: between two comments that name the command."""


def marks(command):
    """The lines around a command's table."""
    return f"<!-- made by {command}: begin -->", f"<!-- made by {command}: end -->"


def replaced(text, command, lines):
    """The text with the command's table made anew; ValueError: it has no place for it."""
    begin, end = marks(command)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"no place for the table of '{command}'")
    head, rest = text.split(begin)
    return head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]


def write(path, command, lines):
    """Replaces the command's table in a file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(replaced(text, command, lines))
