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

// Table is rows under a head, no wider than the screen.
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

// Write prints the table. Nothing is printed for a table without rows.
func (t *Table) Write(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = strings.ToUpper(c.name)
	}
	rows := append([][]string{head}, t.rows...)
	widths := t.widths(rows)
	tw := tabwriter.NewWriter(w, 0, 0, gap, ' ', 0)
	for _, row := range rows {
		for i, c := range t.columns {
			row[i] = Shorten(row[i], widths[i])
			if c.right {
				row[i] = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(row[i])) + row[i]
			}
		}
		fmt.Fprintln(tw, t.Indent+strings.TrimRight(strings.Join(row, "\t"), " \t"))
	}
	_ = tw.Flush()
}

// widths gives each column what it needs, and takes what is too much from the widest of those that may be cut.
func (t *Table) widths(rows [][]string) []int {
	widths := make([]int, len(t.columns))
	excess := utf8.RuneCountInString(t.Indent) + gap*(len(widths)-1) - Width
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		excess += widths[i]
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
	return widths
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
		for _, l := range Wrap(f[1], Width-longest-gap) {
			fmt.Fprintf(w, "%-*s%s\n", longest+gap, name, l)
			name = ""
		}
	}
}
