package diag

import "net/url"

// The part of SARIF 2.1.0 (OASIS) that findings need.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId,omitempty"`
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifMessage  `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)

func (p Printer) sarif(l List) sarifLog {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
		Tool: sarifTool{sarifDriver{Name: p.toolName(), Version: p.Version, Rules: []sarifRule{}}}}
	for _, rule := range rulesOf(l) {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{rule})
	}
	for _, f := range l {
		level := f.Level.String()
		if f.Level == Info {
			level = "note"
		}
		r := sarifResult{RuleID: f.Rule, Level: level, Message: sarifMessage{message(f)}}
		if at := (sarifLocation{Physical: physical(f.Place, f.Width), Logical: logical(f.Subject)}); at.Physical != nil || at.Logical != nil {
			r.Locations = []sarifLocation{at}
		}
		for _, other := range f.Related {
			if at := physical(other.Place, 0); at != nil {
				r.Related = append(r.Related, sarifLocation{Physical: at, Message: &sarifMessage{other.Message}})
			}
		}
		run.Results = append(run.Results, r)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func physical(p Place, width int) *sarifPhysical {
	if p.File == "" {
		return nil
	}
	at := &sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: uri(p.File)}).String()}}
	if p.Line > 0 {
		at.Region = &sarifRegion{StartLine: p.Line, StartColumn: p.Column}
		if p.Column > 0 && width > 0 {
			at.Region.EndColumn = p.Column + width
		}
	}
	return at
}

func logical(subject string) []sarifLogical {
	if subject == "" {
		return nil
	}
	return []sarifLogical{{subject}}
}

func (p Printer) toolName() string {
	if p.Tool == "" {
		return "refline"
	}
	return p.Tool
}
