package web

import (
	"cmp"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"refline/internal/api"
)

// Slots are listed on the page of the runners.
func slotPages() []page {
	return []page{
		{pattern: "POST /slots", need: "write", do: setSlot, back: showRunners},
		{pattern: "POST /slots/remove", need: "write", do: removeSlot, back: showRunners},
	}
}

func (c *request) slotTable() (table, error) {
	t := table{ID: "slots", Title: "Slots", Columns: []string{"Slot", "Places", "Held by", "Waiting", "Flows", ""}, Note: "A limited number of runs has a slot at a time.", Empty: [2]string{"No slots: nothing limits runs across flows.", command("slot", "set", "NAME", "MAX")}}
	list, err := c.API.Slots(c.ctx())
	may := c.may("write")
	for _, s := range list {
		places := cmp.Or(strings.TrimPrefix(strconv.Itoa(s.Max), "0"), "any number")
		row := []Cell{plain(s.Name), plain(places), c.claims(s.Holders), c.claims(s.Waiting), plain(strings.Join(s.Flows, ", ")), {}}
		if may && len(s.Flows) == 0 {
			row[5].Act = &action{Path: "/slots/remove", Label: "Remove", Fields: [][2]string{{"name", s.Name}}, Sure: "Nothing limits its runs from then on.", Yes: "Remove " + s.Name}
		}
		t.Rows = append(t.Rows, row)
	}
	if may {
		t.Forms = []*form{c.form(form{ID: "slot", Title: "Set a slot", Submit: "Set the slot", Path: "/slots", Command: command("slot", "set", "NAME", "MAX"), Fields: []field{
			{Name: "name", Label: "Name", Placeholder: "warehouse", Required: true},
			{Name: "max", Label: "Places", Kind: fieldNumber, Value: "1", Required: true, Hint: "runs that have it at a time; 0 for any number"},
		}})}
	}
	return t, err
}

// claims are the runs that have a slot or wait for it.
func (c *request) claims(list []api.SlotClaim) Cell {
	var out []string
	for i, x := range list {
		if i == 5 {
			out = append(out, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		out = append(out, fmt.Sprintf(`<a href="%s">run %d</a>`, template.HTMLEscapeString(c.Base+runPath(x.Run)), x.Run))
	}
	return Cell{Text: "none", HTML: template.HTML(strings.Join(out, ", "))}
}

func setSlot(c *request) (string, error) {
	places, err := c.number("max")
	if err != nil {
		return "", err
	}
	_, err = c.API.SetSlot(c.ctx(), c.typed("name"), int(places))
	return "/runners#slots", err
}

func removeSlot(c *request) (string, error) {
	return "/runners#slots", c.API.RemoveSlot(c.ctx(), c.PostFormValue("name"))
}
