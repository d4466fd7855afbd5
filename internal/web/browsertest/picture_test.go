package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// maxPicture bounds a picture of the documentation, in bytes.
const maxPicture = 200 << 10

// TestPictures makes the pictures of the documentation: make screenshots.
func TestPictures(t *testing.T) {
	dir := os.Getenv("REFLINE_PICTURES")
	if dir == "" {
		t.Skip("pictures are made by make screenshots")
	}
	b, w := story(t)
	for _, p := range []struct {
		name, path, ready string
		height            int64
	}{
		{"run", ofRun("fail")(w), `document.querySelector('#run-why')`, 760},
		{"flow", "/p/data/warehouse/-/flows/copy_orders", `document.getElementById('run-command')`, 720},
		{"log", w.log("fail", "load_events") + "?q=rows#L3", `document.querySelector('#log-ruler .bad')`, 420},
	} {
		b.open(p.path)
		b.do("size", command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: p.height, DeviceScaleFactor: 1}))
		b.until("the page "+p.name+" is whole", p.ready)
		// The repository of the tests is a folder; a reader's is elsewhere.
		// The page may be brought up to date meanwhile, so it is done again then.
		value[int](b, fmt.Sprintf(`(() => {
			const rename = () => {
				for (const e of document.querySelectorAll('.head .more')) if (e.textContent.startsWith('webhook')) e.remove() // of another test
				const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
				while (texts.nextNode()) if (texts.currentNode.data.includes(%[1]q)) texts.currentNode.data = texts.currentNode.data.replaceAll(%[1]q, 'https://git.example.com/data/warehouse.git')
			}
			new MutationObserver(rename).observe(document.body, { subtree: true, childList: true, characterData: true })
			rename()
			return 0
		})()`, w.repo))
		var data []byte
		b.do("picture", chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			shot, err := cdp.Call(ctx, tab, page.CaptureScreenshot, page.CaptureScreenshotParams{})
			data = shot.Data
			return err
		}))
		small, err := smaller(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(small) > maxPicture {
			t.Errorf("%s has %d bytes, at most %d", p.name, len(small), maxPicture)
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+".png"), small, 0o644); err != nil { //nolint:gosec // a picture for everybody
			t.Fatal(err)
		}
	}
}

// smaller is a picture with the 256 colours that it has most of.
func smaller(data []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	counts := map[color.RGBA]int{}
	box := whole.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			counts[color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return int(a.R)<<16 + int(a.G)<<8 + int(a.B) - int(b.R)<<16 - int(b.G)<<8 - int(b.B)
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	out := image.NewPaletted(box, palette)
	draw.Draw(out, box, whole, box.Min, draw.Src)
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&file, out)
	return file.Bytes(), err
}
