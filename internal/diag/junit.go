package diag

import (
	"encoding/xml"
	"io"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Failure *junitFailure `xml:"failure"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit writes a test case for each finding; only errors are failures. Without
// findings it writes one case that passes, so that the report is not empty.
func (p Printer) junit(w io.Writer, l List) error {
	errors, _ := l.Count()
	suite := junitSuite{Name: p.toolName(), Failures: errors}
	for _, f := range l {
		name := f.Rule
		if name == "" {
			name = f.Level.String()
		}
		if place := f.Place.String(); place != "" {
			name += " " + place
		}
		c := junitCase{Class: uri(f.File), Name: name, File: uri(f.File)}
		if f.Level == Error {
			c.Failure = &junitFailure{Type: f.Level.String(), Message: message(f), Text: f.String()}
		} else {
			c.Output = f.String()
		}
		suite.Cases = append(suite.Cases, c)
	}
	if len(suite.Cases) == 0 {
		suite.Cases = []junitCase{{Class: p.toolName(), Name: "no findings"}}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Tests: suite.Tests, Failures: suite.Failures, Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
