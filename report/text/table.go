package text

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// column is how one column of a table is laid out.
type column struct {
	name  string
	right bool // numbers
	flex  int  // may be cut when the row is wider than the screen, 1 before 2; 0: never. --json has it whole
}

// Table is rows under a head, no wider than the screen that it is written to.
type Table struct {
	Indent  string
	columns []column
	rows    [][]string
}

// NewTable takes the columns' names: ">name" is aligned to the right, "~name" is cut when there is no room, "~~name"
// only when that is not enough.
func NewTable(names ...string) *Table {
	t := &Table{}
	for _, n := range names {
		name := strings.TrimLeft(n, ">~")
		t.columns = append(t.columns, column{name: name, right: n[0] == '>', flex: strings.Count(n[:len(n)-len(name)], "~")})
	}
	return t
}

// Add takes the cells of one row. An empty cell is shown as a dash, so that a column can be cut out by scripts too.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(t.columns))
	for i := range row {
		if row[i] = "-"; i < len(cells) {
			if s := Printable(fmt.Sprint(cells[i])); s != "" {
				row[i] = s
			}
		}
	}
	t.rows = append(t.rows, row)
}

// Empty says that the table has no rows.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

const gap = 2 // spaces between two columns

// Write prints the table, as wide as the screen that w is. Where not even the columns that may be cut give it room, each
// row is a block of names and values. Where w is no screen nothing is cut, since a script would miss it. Nothing is printed
// for a table without rows.
func (t *Table) Write(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = strings.ToUpper(c.name)
	}
	rows := append([][]string{head}, t.rows...)
	widths, fits := t.widths(rows, columns(w))
	if !fits {
		t.writeBlocks(w)
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range t.columns {
			cells[i] = Shorten(row[i], widths[i])
			if c.right {
				cells[i] = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cells[i])) + cells[i]
			}
		}
		fmt.Fprintln(tw, t.Indent+strings.TrimRight(strings.Join(cells, "\t"), " \t"))
	}
	_ = tw.Flush()
}

// writeBlocks prints each row as names and values below each other.
func (t *Table) writeBlocks(w io.Writer) {
	for i, row := range t.rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fields := make([][2]string, len(row))
		for j, c := range t.columns {
			fields[j] = [2]string{t.Indent + c.name, row[j]}
		}
		WriteFields(w, fields)
	}
}

// widths gives each column what it needs, and takes what is too much for a screen of so many columns from the widest of
// those that may be cut. 0: there is no screen, and nothing is cut. It says whether the rows fit then.
func (t *Table) widths(rows [][]string, screen int) (widths []int, fits bool) {
	widths = make([]int, len(t.columns))
	excess := utf8.RuneCountInString(t.Indent) + gap*(len(widths)-1) - screen
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		excess += widths[i]
	}
	if screen == 0 {
		return widths, true
	}
	for flex := 1; flex <= 2 && excess > 0; {
		widest := -1
		for i, c := range t.columns {
			if c.flex == flex && widths[i] > leastWidth && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			flex++
			continue
		}
		widths[widest]--
		excess--
	}
	return widths, excess <= 0
}

// leastWidth is what is left of a column that is cut: less would tell nothing.
const leastWidth = 6

// WriteFields prints names and values below each other. One without a value is left out.
func WriteFields(w io.Writer, fields [][2]string) {
	longest := 0
	for _, f := range fields {
		longest = max(longest, utf8.RuneCountInString(f[0]))
	}
	for _, f := range fields {
		name := f[0]
		for _, l := range Wrap(f[1], Prose(w)-longest-gap) {
			fmt.Fprintf(w, "%-*s%s\n", longest+gap, name, l)
			name = ""
		}
	}
}
