package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/chromedp/chromedp"
)

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// paint is when a new Chromium paints a page first, in words.
func (b *bench) paint(path string) (string, error) {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		return "no Chromium", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	link, err := b.client.SignInLink(ctx)
	if err != nil {
		return "", err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	alloc, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	tab, end := chromedp.NewContext(alloc)
	defer end()
	ready := chromedp.WaitReady(chromedp.CSS("html[data-ready]"))
	if err := chromedp.Do(tab, chromedp.Navigate(b.url+link.Path), ready, chromedp.Click(chromedp.CSS("main button")), chromedp.WaitReady(chromedp.CSS("footer")),
		chromedp.Navigate(b.url+path), ready); err != nil {
		return "", err
	}
	ms, err := chromedp.Run(tab, chromedp.Evaluate[float64](`new Promise(done => {
		const look = () => { const [e] = performance.getEntriesByName('first-contentful-paint'); e ? done(e.startTime) : setTimeout(look, 20) }
		look()
	})`, chromedp.EvalAwaitPromise))
	return fmt.Sprintf("%.0f ms", ms), err
}
