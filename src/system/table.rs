//! Tables for a terminal: columns without lines.

use std::ops::RangeFrom;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// The rows below a header, without a final line break; the columns of `right` are aligned to the right.
pub fn plain_table(
    header: Vec<String>,
    rows: impl IntoIterator<Item = Vec<String>>,
    right: RangeFrom<usize>,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        let alignment = if right.contains(&index) { CellAlignment::Right } else { CellAlignment::Left };
        column.set_padding((0, 2)).set_cell_alignment(alignment);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["müde", "1"]), row(["a", "10"])];
        assert_eq!(plain_table(row(["", "n"]), rows, 1..), "       n\nmüde   1\na     10");
        assert_eq!(plain_table(row(["name", "n"]), [], 2..), "name  n");
    }
}
