package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// preferences are how a person wants to see pages. They are in a cookie of the
// browser, because they belong to the screen and not to the account.
type preferences struct {
	Zone   string // IANA name; "" if the browser has not said it yet
	Chosen bool   // the zone is a person's choice, not the browser's
	Theme  string // light, dark, or "" for that of the system
	NoKeys bool   // no shortcuts

	location *time.Location
}

// preferenceCookie is read by the script too, which keeps the browser's zone in it.
const preferenceCookie = "refline-view"

func readPreferences(r *http.Request) preferences {
	p := preferences{location: time.UTC}
	cookie, err := r.Cookie(preferenceCookie)
	if err != nil {
		return p
	}
	values, err := url.ParseQuery(cookie.Value)
	if err != nil {
		return p
	}
	p.setZone(values.Get("zone"))
	p.Chosen = p.Zone != "" && values.Get("chosen") == "1"
	p.setTheme(values.Get("theme"))
	p.NoKeys = values.Get("keys") == "off"
	return p
}

// setZone takes a zone that exists.
func (p *preferences) setZone(name string) bool {
	if name == "" || name == "Local" || len(name) > 64 {
		return false
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return false
	}
	p.Zone, p.location = name, location
	return true
}

func (p *preferences) setTheme(name string) {
	if name == "light" || name == "dark" {
		p.Theme = name
	}
}

// cookie is what keeps the preferences.
func (p preferences) cookie(base string, secure bool) *http.Cookie {
	values := url.Values{}
	if p.Zone != "" {
		values.Set("zone", p.Zone)
	}
	if p.Chosen {
		values.Set("chosen", "1")
	}
	if p.Theme != "" {
		values.Set("theme", p.Theme)
	}
	if p.NoKeys {
		values.Set("keys", "off")
	}
	return &http.Cookie{Name: preferenceCookie, Value: values.Encode(), Path: base + "/", MaxAge: 365 * 24 * 3600, Secure: secure, SameSite: http.SameSiteLaxMode}
}

func preferencePages() []page {
	return []page{{pattern: "POST /preferences", need: "public", do: setPreferences}}
}

// setPreferences keeps how a person wants to see pages, and goes back to the page.
func setPreferences(c *request) (string, error) {
	p := preferences{}
	if zone := strings.TrimSpace(c.PostFormValue("zone")); zone != "" {
		if !p.setZone(zone) {
			return "", invalid("%q is not a time zone; it looks like Europe/Berlin or UTC", zone)
		}
		p.Chosen = true
	}
	p.setTheme(c.PostFormValue("theme"))
	p.NoKeys = c.PostFormValue("keys") == ""
	http.SetCookie(c.w, p.cookie(c.Base, c.TLS != nil))
	return LocalPath(c.PostFormValue("next")), nil
}
