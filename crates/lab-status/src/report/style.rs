//! How a report looks: on a screen, light and dark, narrow and wide; and on A4.

/// The style sheet.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fff;--text:#16191f;--muted:#4a5561;--line:#c6cdd5;--soft:#f4f6f8;--good:#1b6b28;--bad:#a8112a;--bar:#147eba;--longest:#8a4b00}
@media screen and (prefers-color-scheme:dark){:root{--page:#10161d;--text:#eef2f6;--muted:#b4c0cb;--line:#46535f;--soft:#1b2530;--good:#6fd17f;--bad:#ff8a9a;--bar:#58a9d8;--longest:#f2a93b}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 Arimo,'Liberation Sans',Arial,Helvetica,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem}
h1{font-size:1.7rem;margin:0 0 .5rem}
h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{color:var(--muted);font-weight:normal}
.who th{width:11rem;color:var(--muted);font-weight:normal}
.number{text-align:right;white-space:nowrap}
.picture{overflow-x:auto}
.picture svg{display:block;height:auto;width:100%;min-width:56rem}
ol.steps{list-style:none;margin:0;padding:0}
ol.steps>li{display:grid;grid-template-columns:2rem 7.5rem 1fr;gap:.25rem .5rem;padding:.5rem 0;border-bottom:1px solid var(--line);break-inside:avoid}
ol.steps ul{margin:.25rem 0 0;padding-left:1.1rem;color:var(--muted);overflow-wrap:anywhere}
.passed{color:var(--good);font-weight:bold}
.open{color:var(--bad);font-weight:bold}
.unseen{color:var(--muted);font-weight:bold}
figure{display:inline-block;margin:.5rem 1.5rem .5rem 0;vertical-align:top;max-width:100%;break-inside:avoid}
figure img{display:block;max-width:100%;background:#fff;border:1px solid var(--line)}
figcaption{color:var(--muted);font-size:.85rem;max-width:17rem;overflow-wrap:anywhere}
pre{background:var(--soft);padding:.75rem;font:12px/1.45 'Liberation Mono',Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
.timeline td:nth-child(2),.timeline td:nth-child(3){white-space:nowrap}
.timeline .lane{width:40%;padding-right:0}
.bar{height:.7rem;margin-top:.4rem;min-width:2px;background:var(--bar)}
.bar.longest{background:var(--longest)}
.muted{color:var(--muted)}
code{font-family:'Liberation Mono',Menlo,Consolas,monospace;font-size:.85em;overflow-wrap:anywhere}
@media (max-width:40rem){ol.steps>li{grid-template-columns:2rem 1fr}ol.steps>li>div{grid-column:1/-1}.timeline .lane{display:none}.who th{width:7rem}}
@page{size:A4;margin:14mm 13mm}
@page picture{size:A4 landscape;margin:8mm}
@media print{
body{font-size:10.5pt}
main{max-width:none;padding:0}
.bar{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.sheet{page:picture}
.picture{overflow:visible}
.picture svg{min-width:0;width:100%;max-height:165mm}
h2,h3{break-after:avoid}
tr{break-inside:avoid}
}
";
