"""A file that is not a picture, which the page refuses with a message."""

TEXT = """() => {
    const files = new DataTransfer();
    files.items.add(new File([], 'mine.txt'));
    return files;
}"""
"""Gives the file as what is dragged."""
PASTE_TEXT = f"() => dispatchEvent(new ClipboardEvent('paste', {{ clipboardData: ({TEXT})() }}))"
"""Pastes the file."""
