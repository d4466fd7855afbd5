package telemetry

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func scrape(m *Metrics) (int, string) {
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Code, rec.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := New("1.2.3", func(context.Context) ([]Sample, error) {
		return []Sample{
			{"refline_queue_jobs", "Jobs that wait, by reason.", "reason", `no runner with "gpu"`, 3},
			{"refline_queue_jobs", "Jobs that wait, by reason.", "reason", "slots", 1},
			{"refline_disk_free_bytes", "Free.", "", "", 4096},
		}, nil
	})
	m.Turn(3*time.Millisecond, 2)
	m.Claim(-time.Second)
	m.Request("GET /api/v1/runs", 200, 5*time.Millisecond)
	status, text := scrape(m)
	if status != 200 {
		t.Fatalf("status %d:\n%s", status, text)
	}
	for _, want := range []string{
		`refline_queue_jobs{reason="no runner with \"gpu\""} 3`, `refline_queue_jobs{reason="slots"} 1`, "refline_disk_free_bytes 4096",
		`refline_build_info{version="1.2.3"} 1`, "refline_turn_seconds_count 1", "refline_turn_commands_sum 2", "refline_claim_seconds_sum 0",
		`refline_http_request_seconds_count{route="GET /api/v1/runs",status="200"} 1`, "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestUnreadableState: the rest is reported also when the state cannot be read.
func TestUnreadableState(t *testing.T) {
	t.Parallel()
	m := New("1", func(context.Context) ([]Sample, error) { return nil, errors.New("the database does not answer") })
	if status, text := scrape(m); status != 200 || !strings.Contains(text, "refline_turn_seconds_count 0") {
		t.Errorf("status %d:\n%s", status, text)
	}
}
