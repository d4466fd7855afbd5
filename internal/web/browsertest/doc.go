// Package browsertest opens the web page of a real server in Chromium: every page of
// the table in page_test.go at four widths, dark and light, and the stories of people
// who use it. It has tests only.
//
// Without Chromium the tests skip, and say so. With REFLINE_SCREENSHOTS set to a folder
// they leave a picture of every page there.
package browsertest
