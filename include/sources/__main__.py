"""`python -m include.sources > LICENSE-DATA.md`: the terms of the data, from the declarations."""

import sys

from include.sources import domain_of, registry

HEAD = """# Terms of the data

The code is licensed by LICENSE; the figures belong to their publishers. This page is written from the declarations of
the sources (`python -m include.sources > LICENSE-DATA.md`); a test keeps the two equal. What a figure's source is
stands beside it in every table (`source_id`), and its terms in `marts.dim_source`. The bundled record states figures
with their publishers in [include/replay/pack/sources.csv](include/replay/pack/sources.csv). Facts are not owned, but
tables may be: read the terms before you redistribute. FRED and stooq are not shipped: the first forbids storing, the
second asks for a key that a person must solve a puzzle for.
"""


def page() -> str:
    """The Markdown: a table a domain with source, terms, credit line, how sure the contract is, and the key if any."""
    lines = [HEAD]
    by_domain: dict[str, list] = {}
    for source in registry().values():
        by_domain.setdefault(domain_of(source), []).append(source)
    for domain, sources in sorted(by_domain.items()):
        lines += [
            f"## {domain}",
            "",
            "| source | what | terms | credit | contract | key |",
            "|---|---|---|---|---|---|",
        ]
        for s in sorted(sources, key=lambda s: s.source_id):
            key = f"`{s.key_env}`" + ("" if s.key_required else ", optional") if s.key_env else ""
            cells = (f"`{s.source_id}`", s.title, s.licence, s.credit, s.verified, key)
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
