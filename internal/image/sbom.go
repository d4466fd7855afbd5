package image

import (
	"encoding/json"
	"fmt"
	"time"
)

// sbomType is the media type of what [sbomOf] returns.
const sbomType = "application/spdx+json"

type spdx struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Files         []spdxFile         `json:"files"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID       string `json:"SPDXID"`
	Name     string `json:"name"`
	Version  string `json:"versionInfo"`
	Location string `json:"downloadLocation"`
	Analyzed bool   `json:"filesAnalyzed"`
}

type spdxFile struct {
	ID        string         `json:"SPDXID"`
	Name      string         `json:"fileName"`
	Checksums []spdxChecksum `json:"checksums"`
	Comment   string         `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	To   string `json:"relatedSpdxElement"`
	Type string `json:"relationshipType"`
}

// sbomOf lists what is added to the base image, as an SPDX 2.3 document. It depends
// on nothing else, so it is the same at each build.
func sbomOf(s Source, files []File) ([]byte, error) {
	const source = "SPDXRef-Package-source"
	location := "NOASSERTION"
	if s.Repository != "" {
		location = "git+" + s.Repository + "@" + s.Commit
	}
	doc := spdx{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "files of " + s.Commit,
		Namespace: "https://refline.dev/sbom/" + s.Commit,
		Creation:  spdxCreation{Created: s.Time.UTC().Format(time.RFC3339), Creators: []string{"Tool: refline"}},
		Packages:  []spdxPackage{{ID: source, Name: s.Repository, Version: s.Commit, Location: location}},
		Files:     []spdxFile{},
		Relationships: []spdxRelationship{
			{From: "SPDXRef-DOCUMENT", To: source, Type: "DESCRIBES"},
		},
	}
	if s.Repository == "" {
		doc.Packages[0].Name = "source"
	}
	for i, f := range files {
		entry := spdxFile{ID: fmt.Sprintf("SPDXRef-File-%d", i+1), Name: "/" + f.Path, Checksums: []spdxChecksum{}}
		if f.Link != "" {
			entry.Comment = "link to " + f.Link
		} else {
			entry.Checksums = append(entry.Checksums, spdxChecksum{"SHA256", f.SHA256})
		}
		doc.Files = append(doc.Files, entry)
		doc.Relationships = append(doc.Relationships, spdxRelationship{From: source, To: entry.ID, Type: "CONTAINS"})
	}
	return json.Marshal(doc)
}
