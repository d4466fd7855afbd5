package s3

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"refline/internal/errs"
)

// Form is how an address is written.
const Form = "s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION&path-style=true|false]"

// address says where the blobs are.
type address struct {
	bucket    string
	prefix    string // "" or with a slash at its end
	endpoint  string // "": that of AWS
	region    string // "": as configured
	pathStyle bool   // the bucket is in the path, not in the host name
}

var (
	bucketName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })
	prefixText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*$`) })
	regionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`) })
)

// parse reads an address. It repeats no part of one that may hold a password.
func parse(text string) (address, error) {
	var a address
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" || u.Fragment != "" {
		return a, errs.E(errs.Invalid, "the address of the blobs is not of the form %s", Form)
	}
	if u.User != nil {
		return a, errs.E(errs.Invalid, "the address of the blobs has credentials in it: remove them and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	a.bucket, a.prefix = u.Host, strings.Trim(u.Path, "/")
	if !bucketName().MatchString(a.bucket) {
		return a, errs.E(errs.Invalid, "%.100q is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens (the form is %s)", a.bucket, Form)
	}
	if a.prefix != "" {
		if len(a.prefix) > 400 || !prefixText().MatchString(a.prefix) {
			return a, errs.E(errs.Invalid, "the prefix %.100q of s3://%s is not one of letters, digits and !_.*'()- with single slashes between, of at most 400 bytes", a.prefix, a.bucket)
		}
		a.prefix += "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return a, errs.E(errs.Invalid, "the parameters of s3://%s cannot be read: the form is %s", a.bucket, Form)
	}
	return a, a.parameters(query)
}

func (a *address) parameters(query url.Values) error {
	a.pathStyle = query.Get("endpoint") != "" // names of buckets are rarely hosts there
	for name, values := range query {
		if len(values) != 1 {
			return errs.E(errs.Invalid, "s3://%s has the parameter %s more than once", a.bucket, name)
		}
		value := values[0]
		var err error
		switch name {
		case "endpoint":
			a.endpoint, err = parseEndpoint(value)
		case "region":
			if a.region = value; !regionName().MatchString(value) {
				err = errs.E(errs.Invalid, "%.100q is not the name of a region", value)
			}
		case "path-style":
			if a.pathStyle, err = strconv.ParseBool(value); err != nil {
				err = errs.E(errs.Invalid, "path-style of s3://%s is %.100q, not true or false", a.bucket, value)
			}
		default:
			err = errs.E(errs.Invalid, "s3://%s has the unknown parameter %.100q: there are endpoint, region and path-style", a.bucket, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseEndpoint(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errs.E(errs.Invalid, "the endpoint of the blobs is not a URL such as https://s3.example.com")
	}
	if u.User != nil {
		return "", errs.E(errs.Invalid, "the endpoint of the blobs has credentials in it: remove them and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	return strings.TrimSuffix(text, "/"), nil
}
