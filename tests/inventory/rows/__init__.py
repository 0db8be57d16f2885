"""All rows of the feature inventory, by number, in order."""

from tests.inventory.row import Row
from tests.inventory.rows import (
    claims,
    corrections,
    data,
    derivatives,
    language,
    models,
    ops,
    optimisers,
    ported,
    programs,
    tools,
    training,
)

SECTIONS: tuple[tuple[Row, ...], ...] = (
    language.ROWS,
    ops.ROWS,
    derivatives.ROWS,
    models.ROWS,
    optimisers.ROWS,
    data.ROWS,
    tools.ROWS,
    training.ROWS,
    programs.ROWS,
    ported.ROWS,
    corrections.ROWS,
    claims.ROWS,
)

ROWS: dict[str, Row] = {row.number: row for section in SECTIONS for row in section}
