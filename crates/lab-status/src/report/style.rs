//! How a report looks: on a screen, light and dark, narrow and wide; and on A4.

/// The style sheet.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fff;--text:#16191f;--muted:#4a5561;--line:#c6cdd5;--soft:#f4f6f8;--good:#1b6b28;--bad:#a8112a;--bar:#147eba;--longest:#8a4b00}
@media screen and (prefers-color-scheme:dark){:root{--page:#10161d;--text:#eef2f6;--muted:#b4c0cb;--line:#46535f;--soft:#1b2530;--good:#6fd17f;--bad:#ff8a9a;--bar:#58a9d8;--longest:#f2a93b}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 Arimo,'Liberation Sans',Arial,Helvetica,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .75rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{color:var(--muted);font-weight:normal}
.head{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.5rem 2rem;margin:0 0 .75rem}
.who{display:grid;grid-template-columns:repeat(3,auto);gap:.4rem 1.5rem;margin:0;align-content:start}
.who .wide{grid-column:1/-1}
.who dt{color:var(--muted);font-size:.8rem;line-height:1.3}
.who dd{margin:0;overflow-wrap:anywhere}
.results{list-style:none;margin:0;padding:0}
.results li{padding:0 0 .5rem;line-height:1.9}
.results strong{display:block}
.mark{display:inline-block;border:1px solid currentColor;border-radius:3px;padding:0 .35rem;line-height:1.35;white-space:nowrap;font-weight:bold;text-decoration:none}
.passed{color:var(--good)}
.open{color:var(--bad);border:2.5px solid currentColor}
.unseen{color:var(--muted);border-style:dashed}
.number{text-align:right;white-space:nowrap;padding-right:0}
.picture{overflow-x:auto}
.picture svg{display:block;height:auto;width:100%;min-width:56rem}
ol.steps{list-style:none;margin:0;padding:0}
ol.steps>li{display:grid;grid-template-columns:1.75rem 7.5rem 1fr;gap:.25rem .5rem;padding:.5rem 0;border-bottom:1px solid var(--line);break-inside:avoid}
ol.steps .mark{justify-self:start;align-self:start}
ol.steps ul{margin:.25rem 0 0;padding-left:1.1rem;color:var(--muted);overflow-wrap:anywhere}
figure{display:inline-block;margin:.5rem 1.5rem .5rem 0;vertical-align:top;max-width:100%;break-inside:avoid}
figure img{display:block;max-width:100%;background:#fff;border:1px solid var(--muted)}
figcaption{color:var(--muted);font-size:.85rem;max-width:17rem;overflow-wrap:anywhere}
pre{background:var(--soft);padding:.75rem;font:12px/1.45 'Liberation Mono',Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
.timeline{table-layout:fixed}
.timeline th{width:5.75rem}
.timeline th:first-child{width:44%}
.timeline .lane{width:auto;padding-right:0}
.timeline td:nth-child(2),.timeline td:nth-child(3){white-space:nowrap}
.bar{height:.7rem;margin-top:.4rem;min-width:2px;background:var(--bar)}
.bar.longest{background:var(--longest)}
.muted{color:var(--muted)}
.items{overflow-wrap:anywhere}
#page-digest{font-size:.7em}
code{font-family:'Liberation Mono',Menlo,Consolas,monospace;font-size:.85em;overflow-wrap:anywhere}
@media (max-width:60rem){.head{grid-template-columns:minmax(0,1fr)}}
@media (max-width:40rem){
.who{grid-template-columns:repeat(2,auto)}
ol.steps>li{grid-template-columns:1.75rem 1fr}
ol.steps>li>div{grid-column:1/-1}
.timeline th:first-child{width:auto}
.timeline .lane{display:none}
}
@page{size:A4;margin:14mm 13mm 16mm;@bottom-left{font:8pt Arimo,'Liberation Sans',Arial,sans-serif;color:#4a5561}@bottom-right{content:\"page \" counter(page) \" of \" counter(pages);font:8pt Arimo,'Liberation Sans',Arial,sans-serif;color:#4a5561}}
@page cover{size:A4 landscape;margin:9mm 10mm 12mm}
@media print{
:root{color-scheme:light}
body{font-size:10pt;line-height:1.4}
main{max-width:none;padding:0}
a{color:inherit}
.bar{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.cover{page:cover;display:flex;flex-direction:column;height:188mm}
.cover h1{margin-bottom:2mm}
.head{grid-template-columns:minmax(0,1fr) auto;margin-bottom:2mm}
h2{margin-top:1.5rem}
.timeline{font-size:9pt}
.bar{height:.6rem;margin-top:.2rem}
.timeline td{padding-top:.1rem;padding-bottom:.1rem}
.picture{flex:1;min-height:0;overflow:visible}
.picture svg{min-width:0;width:100%;height:100%}
h2,h3,h2+p,thead{break-after:avoid}
tr,.whole,pre{break-inside:avoid}
.timeline tbody tr:nth-child(-n+2){break-after:avoid}
tbody tr:last-child{break-before:avoid}
.items{columns:2;column-gap:6mm;font-size:8.5pt;padding-left:1rem}
.items li{break-inside:avoid}
}
";
