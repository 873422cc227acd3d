package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Table is a table for people: columns aligned, colours only on a terminal.
type Table struct {
	rows   [][]cell
	colour bool
}

type cell struct {
	text   string
	colour string
}

// The colours of a cell: what is well, what wants attention, what is broken.
// They are ANSI's, as everywhere in juju.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
)

// Good, Warn and Bad make a cell of a table green, yellow and red.
func Good(text string) any { return cell{text, green} }

// Warn is a yellow cell.
func Warn(text string) any { return cell{text, yellow} }

// Bad is a red cell.
func Bad(text string) any { return cell{text, red} }

// Row adds a row, or with no cells an empty line, after which columns are aligned
// anew: of strings, of cells that Good, Warn and Bad make, or of
// anything else as fmt.Sprint prints it. What is empty shows as a hyphen.
func (t *Table) Row(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case cell:
			row[i] = c
		default:
			row[i].text = fmt.Sprint(c)
		}
		row[i].text = printable(row[i].text)
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// printable writes out what would break a table, or do more to a terminal than
// show: a control character as \x1b or \n, and what turns text around as \u202e.
func printable(s string) string {
	if strings.IndexFunc(s, unseen) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unseen(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToGraphic(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unseen tells that a terminal would not just show it.
func unseen(r rune) bool { return !unicode.IsGraphic(r) }

// printableLines is printable, but for the ends of lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// String returns the table, two blanks between columns.
func (t *Table) String() string {
	var b strings.Builder
	for rows := t.rows; len(rows) > 0; {
		end := slices.IndexFunc(rows, func(row []cell) bool { return len(row) == 0 })
		if end < 0 {
			end = len(rows)
		}
		t.write(&b, rows[:end])
		if rows = rows[end:]; len(rows) > 0 {
			b.WriteByte('\n')
			rows = rows[1:]
		}
	}
	return b.String()
}

// write writes rows that are aligned with each other.
func (t *Table) write(b *strings.Builder, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range rows {
		for i, c := range row {
			if t.colour && c.colour != "" {
				b.WriteString(c.colour + c.text + plain)
			} else {
				b.WriteString(c.text)
			}
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		b.WriteByte('\n')
	}
}

// isTerminal tells whether somebody looks at what is written, or types what is read.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
