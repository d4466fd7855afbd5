// Package web renders the web page: HTML from templates, one style sheet and one
// script, all in the program.
//
// It promises that a page shows and does only what the API lets its caller see and
// do: pages know the API's client and nothing behind it. The client's requests go to
// the handler that serves the page, in this process and with the cookie of the
// browser. So the same pages show a server's runs and those of a computer.
//
// # How to add a page
//
//  1. Write page_NAME.go with a function that returns its routes, and add it to the
//     list in routes.go. A route has a pattern, what it needs of its caller (the
//     names of the API's actions) and a function that returns a [View]:
//
//     func runnersPages() []page {
//     return []page{{"GET /runners", "read", showRunners}}
//     }
//
//     func showRunners(c *request) (*View, error) {
//     list, err := c.API.Runners(c.Context())
//     if err != nil {
//     return nil, err // becomes the page for errors, with the status of its kind
//     }
//     return &View{Template: "runners", Title: "Runners", Section: "/runners",
//     Command: command("runner", "list"), Data: list}, nil
//     }
//
//     Patterns under /p/{project}/-/ get the project's name, which may have slashes,
//     as one value: c.PathValue("project"). Addresses are made by the functions in
//     address.go.
//
//  2. Write templates/NAME.html with {{define "main"}}. Its dot is the [View], its
//     Data the page's own values. The parts that pages share are in parts.html and the
//     functions in template.go. Values that depend on the reader (times) are made in
//     Go: c.Time, c.Clock.
//
//  3. Changes: a form posts to a route "POST /…" with a function that does one thing
//     and returns where the browser goes next (see [page.do]). If it fails, the page
//     that it came from is shown again with what went wrong beside its actions. What a
//     person fills in is a [form] made by request.form: it keeps what was typed, has the
//     error beside it, and works without script. What may be shown only once is the
//     answer to the form itself (see page.reply). What takes something away asks first
//     (action.Sure).
//
//  4. What changes while one looks at it is a fragment: a template "ID" whose one
//     element has that id and data-fragment, named in [View.Fragments], with the runs
//     that it depends on in [View.Live]. The script fetches these when an event comes, and
//     changes only what differs. A fragment is at most 8 KB.
//
//  5. Styles go into assets/css/NAME.css, a script that only this page needs into
//     assets/js/NAME.js; all files of a folder become one file, in the order of their
//     names. No inline styles or scripts: the policy refuses them. Widths inside of
//     charts are attributes of SVG.
//
//  6. Add the page to the table in browsertest/page_test.go: it is then opened
//     in Chromium at four widths, dark and light, and checked for overflow, errors,
//     access and size.
//
// Each page says how to do the same as a command ([View.Command], made by the function
// command, which quotes its words); an empty list says
// what would be there and the command that fills it ({{template "empty"}}).
package web
