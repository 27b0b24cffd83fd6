"""The text of a PDF."""

from threading import Lock

from include.core.parse import refuse

PAGES = 60  # more than that is no statement
_ONE = Lock()  # PDFium is not made for two threads


def pdf_text(body: bytes) -> str:
    """Its pages' text in one line, blanks collapsed. `ContractError`: no PDF, cut off, locked, too long, no text."""
    import pypdfium2

    if not body.startswith(b"%PDF-"):
        raise refuse("not a PDF", "G1.syntax")
    if not body.rstrip().endswith(b"%%EOF"):  # PDFium would repair it, and leave pages out
        raise refuse("the PDF is cut off", "G1.truncated")
    with _ONE:
        try:
            document = pypdfium2.PdfDocument(body)
            try:
                if len(document) > PAGES:
                    raise refuse(f"a PDF of {len(document)} pages", "G1.too_large")
                pages = [_page(document[n]) for n in range(len(document))]
            finally:
                document.close()
        except pypdfium2.PdfiumError:
            raise refuse("the PDF cannot be read", "G1.syntax") from None
    # U+FFFE stands for the hyphen at the end of a line
    text = " ".join(" ".join(pages).replace("\ufffe", "-").split())
    if not text or "\x00" in text:
        raise refuse("a PDF without text", "G1.empty")
    return text


def _page(page: object) -> str:
    text = page.get_textpage()
    try:
        return text.get_text_range()
    finally:
        text.close()
        page.close()
